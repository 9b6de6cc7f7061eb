"""Files and folders from outside, checked; and files of ours, whole or absent."""
