import greenlet
import multidict
from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    pins = f"greenlet {greenlet.__version__}, multidict {multidict.__version__}"
    return f'<!doctype html><title>Pins</title><body data-marker="one"><p>{pins}</p>'
