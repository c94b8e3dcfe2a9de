"""Commands about kubelite itself: version, explain."""
