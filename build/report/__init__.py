"""What people read about an image: how two of them differ, and the page of one."""
