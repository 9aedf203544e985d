# Read by the `flask` command only: which application it works on.
FLASK_APP=guestbook
