"""What people say of images: a journal that loses nothing, the page on which they say it, and what becomes of it."""
