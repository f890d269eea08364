"""A page on this machine where sliders move a front: `answers` computes, `server` serves, `page.html` shows."""
