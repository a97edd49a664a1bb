"""What people say of tracks: this is somebody, this is not. It stands above what any model says."""
