"""What several trainings take for granted; needs no torch."""

AROUND = tuple((dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1))  # where x̂ is seen, for scenes
WIDE = tuple((dx, dy) for dy in range(-2, 3) for dx in range(-2, 3) if abs(dx) + abs(dy) < 4)
STATISTICS = 250  # images whose glimpses shape the coding tables
BOUND = 10**9  # steps, where only time ends a training
