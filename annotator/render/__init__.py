"""Write what was found into pictures: the clip with boxes and names, and a contact sheet of its tracks."""
