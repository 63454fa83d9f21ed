"""Go on: the reason for which something is recorded that the record speaks against."""

from collections.abc import Sequence

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..contradictions import Contradiction, digest


class GoOnForm(forms.Form):
    """Asked for once contradictions were shown; `warned`, beside it in the page, names those that were."""

    use_required_attribute = False

    go_on_reason = forms.CharField(label=_("Why it is right all the same"), required=False, max_length=300)

    def goes_on(self, found: Sequence[Contradiction]) -> bool:
        """Whether nothing was found, or exactly this was shown before and has its reason. Of a valid form."""
        shown = self.data.get("warned") == digest(found)
        if found and shown and not self.cleaned_data["go_on_reason"]:
            self.add_error("go_on_reason", gettext("Say why it is right all the same, or mend it."))
        return not found or (shown and not self.errors)
