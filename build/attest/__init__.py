"""What is said about an image beside the image: its bill of materials and how it was built. Never changes a byte of it."""
