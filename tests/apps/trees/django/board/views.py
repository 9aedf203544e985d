from django.conf import settings
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.shortcuts import redirect, render

from board.models import Note


def index(request):
    if request.method == "POST":
        Note.objects.create(text=request.POST["text"], author=request.POST.get("author", ""))
        return redirect("/")
    return render(request, "board/index.html", {"notes": Note.objects.order_by("-id"), "debug": settings.DEBUG})


def upload(request):
    name = default_storage.save("note.txt", request.FILES["file"])
    return HttpResponse(default_storage.url(name))
