"""The search methods, one file each, and what ranks their candidates."""
