"""What stands around the fields: the sum that stands out, and what is short."""

from __future__ import annotations

from tests.support.panes import controls, find


def test_too_small_a_balance_is_said_before_anything_is_sent(make, fox, beside) -> None:
    """Beside Generate, in credits; a clip that the balance pays for has no such remark."""
    made = make(prompt="go", image=fox)
    beside.rest()
    assert made._actions.hint == ""
    made._session().emulator.account.set_balance(54)
    made._update_balance()
    assert "1 credit too low" in made._actions.hint
    find(made, "Prompt").value = ""
    assert "Prompt" in made._actions.hint  # what is wrong in the form comes first


def test_the_balance_stays_in_sight_while_it_is_asked_for(make, beside, monkeypatch) -> None:
    """What is typed meanwhile is priced with the balance as it was."""
    made, seen = make(), []
    beside.rest()
    session = made._session()
    ask = session.funds

    def funds() -> object:
        made._refresh()
        seen.append(made._actions.price)
        return ask()

    monkeypatch.setattr(session, "funds", funds)
    made._update_balance()
    assert "balance" in seen[0]


def test_the_sum_stands_out(make, beside) -> None:
    """The amount is a part of the price line as it is; without a price nothing stands out."""
    made = make()
    beside.rest()
    assert made._actions.amount == "55 credits ($0.28)"
    assert made._actions.amount in made._actions.price
    find(made, "Duration").value = "7"
    assert made._actions.amount == ""


def test_words_of_the_service_are_read_by_people(make) -> None:
    """What a model takes has no underscores in it."""
    note = make("kling/v2-1-pro")._model.note
    assert "takes image (last image)" in note


def test_limits_are_told_once(make) -> None:
    """A help that names its ends is not told them again."""
    note = find(make("kling/v2-1-pro"), "Cfg scale").note
    assert note.count("0 to 1") == 1


def test_long_choices_are_a_list(make) -> None:
    """Two buttons of a sentence each would not stand side by side."""
    made = make("kling-2.6/motion-control")
    kinds = {one.label: one.kind for one in controls(made) if hasattr(one, "options")}
    assert (kinds["Character orientation"], kinds["Mode"]) == ("list", "segments")


def test_a_switch_says_what_it_means(make) -> None:
    """In the words of the parameter, else on and off."""
    made = make("kling-3.0-omni/text-to-video")
    assert find(made, "Sound").options == [[False, "no sound"], [True, "sound"]]
    assert find(made, "Prefer multi shots").options[0] == [False, "off"]
