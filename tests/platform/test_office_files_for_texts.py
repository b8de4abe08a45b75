"""Found by the hunt over all forms: a file in the place of a text was an error of ours."""

from __future__ import annotations


def test_a_file_in_the_place_of_a_text_is_refused(work):
    page = work.get("/regie/familles/nouvelle")
    token = work.form(page, "csrf_token")["csrf_token"].value
    for path, field in (
        ("/regie/envois", "id"), ("/regie/familles/nouvelle", "code"), ("/regie/actualites/nouvelle", "title"),
    ):  # fmt: skip
        answer = work.app.post(
            f"/valmont{path}", {"csrf_token": token}, upload_files=[(field, "a.txt", b"x")], expect_errors=True
        )
        assert answer.status_int == 400, path
