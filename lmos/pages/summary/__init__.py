"""A plan, a report or a front as one page to send to somebody: `subject` gathers what is known, `page` lays it out."""
