from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse
from greetings import greet

app = FastAPI(title="Echo")


@app.get("/")
async def index() -> HTMLResponse:
    return HTMLResponse(f'<!doctype html><title>Echo</title><body data-marker="one"><p>{greet("you")}</p>')


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"echo: {text}")
