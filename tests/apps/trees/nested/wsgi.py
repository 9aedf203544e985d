from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return '<!doctype html><title>Nested</title><body data-marker="one"><p>nested</p>'
