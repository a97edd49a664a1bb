"""The one table of routes: what there is, who may, and what answers. A page is added here, and nowhere else."""

from typing import Final

from annotator.store.web.accounts import Role
from annotator.web.pages import entrance, overview
from annotator.web.visit import Page

PAGES: Final[tuple[Page, ...]] = (
    Page("/", "home", overview.show_home, Role.READER, menu="Overview"),
    Page("/record", "record", overview.show_record, Role.ADMIN, menu="Record"),
    Page("/account", "account", entrance.show_account, Role.READER),
    Page("/account/password", "change_password", entrance.change_own_password, Role.READER, "POST"),
    Page("/login", "login", entrance.show_login, None),
    Page("/login", "log_in", entrance.log_in, None, "POST"),
    Page("/logout", "log_out", entrance.log_out, Role.READER, "POST"),
    Page("/enter", "enter", entrance.enter, None),
    Page("/healthz", "health", overview.tell_health, None),
)
