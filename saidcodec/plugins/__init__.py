"""saidcodec in other programs: ``pillow`` lets Pillow open and save .said files."""
