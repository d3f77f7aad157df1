"""Uploads to the emulator, and questions about what was uploaded."""

from __future__ import annotations

import base64

from unit_tests.emulator.emulator_client import PNG

PNG_BASE64 = base64.b64encode(PNG).decode()
FOLDER = {"uploadPath": "images/mine"}
MIME = "The file mime type is not supported by Gemini, please convert or change the file"


def stream(client, fields, content=PNG, name="cat.png", field="file"):
    files = {field: (name, content)}
    return client.http.post("/api/file-stream-upload", data=fields, files=files).json()


def ask_about(client, *urls, slug="gemini-3-flash"):
    content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return client.chat([{"role": "user", "content": content}], slug)


def text_of(answer):
    return answer["choices"][0]["message"]["content"]


def data_url(mime_type, data):
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"
