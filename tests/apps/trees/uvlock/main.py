from flask import Flask
from markdown import markdown

app = Flask(__name__)


@app.route("/")
def index():
    return '<!doctype html><title>Shop</title><body data-marker="one">' + markdown("*open*")
