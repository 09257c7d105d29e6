"""How email addresses are spelled, and which mailbox each belongs to. Sends no mail.

Mailboxes, as mail providers document them, only tell whether two addresses belong to one person:
mail always goes to the address itself.
"""

import unicodedata

import email_validator

from chat_platform.errors import Invalid

# Companies and test beds do use names such as `.local` and `.test`; the list is meant to be edited.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

_IGNORED_MARKS = {"gmail.com": ".", "proton.me": ".-_"}
_SAME_DOMAIN = {
    "googlemail.com": "gmail.com",
    "pm.me": "proton.me",
    "protonmail.com": "proton.me",
    "ya.ru": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.kz": "yandex.ru",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
}
_TAGGED_BY_DASH = {"yahoo.com"}
_DOTS_ARE_DASHES = {"yandex.ru"}


def normalise_email(address: str) -> str:
    """Return the normalised spelling, under which the address is stored and looked up.

    Raises Invalid `invalid_email`.
    """
    try:
        valid = email_validator.validate_email(address.strip(), check_deliverability=False)
    except email_validator.EmailNotValidError as exc:
        raise invalid_email() from exc
    # Not casefold(): it takes ß for ss, and one person's reset code would go to another.
    return unicodedata.normalize("NFC", valid.normalized.lower())


def new_email(address: str) -> str:
    """Return the spelling for a new account: letters of any language, but no look-alikes.

    Raises Invalid `invalid_email`. Accounts that have such an address go on signing in.
    """
    email = normalise_email(address)
    local = email.rpartition("@")[0]
    odd = [c for c in local if not c.isascii() and unicodedata.category(c)[0] not in "LMN"]
    if odd or unicodedata.normalize("NFKC", local) != local:
        raise invalid_email()
    return email


def invalid_email() -> Invalid:
    return Invalid(
        "Enter an email address such as name@example.com, with only letters, digits and common "
        "symbols before the @.",
        code="invalid_email",
        field="email",
    )


def mailbox_of(email: str) -> str:
    """Return one spelling for all the addresses of a mailbox.

    Everywhere, case does not matter (though ß is not ss: that is another person), and a tag (`+`
    and what follows) goes. Providers that are known to ignore more, or to give one mailbox
    several domains, are listed above. An address that is all tag keeps it: `+@example.com` is
    somebody.
    """
    local, _, domain = email.lower().rpartition("@")
    domain = _SAME_DOMAIN.get(domain, domain)
    local = _without_tag(local, "+")
    if domain in _TAGGED_BY_DASH:
        local = _without_tag(local, "-")
    for mark in _IGNORED_MARKS.get(domain, ""):
        local = local.replace(mark, "") or local
    if domain in _DOTS_ARE_DASHES:
        local = local.replace(".", "-")
    return f"{local}@{domain}"


def _without_tag(local: str, mark: str) -> str:
    return local.partition(mark)[0] or local
