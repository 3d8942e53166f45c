"""What every check does with an answer that no author had in mind: written in place, or not a number at all."""

import numpy as np
import pytest
import torch

from contrastlab.exercises import chapter03, checking

PEAK = 0.82  # the answer of check_peak, within its tolerance


def gradient_in_place(s_pos, s_neg, tau):
    """Eq. 4, correct, but dividing the very tensors that it was given."""
    s_pos /= tau
    s_neg /= tau
    P = torch.softmax(torch.cat([s_pos[:, None], s_neg], dim=1), dim=1)
    P[:, 0] -= 1
    return P / tau


def said(capsys) -> str:
    return capsys.readouterr().out.strip()


def test_an_answer_that_writes_in_place_is_right_however_often_it_is_checked(capsys):
    for _ in range(2):
        chapter03.check_gradient(gradient_in_place)
        assert said(capsys).startswith("Right. ")


def test_an_array_that_is_written_in_place_stays_as_it_was(capsys):
    weights = np.array([1.0, 2.0])

    def answer(given):
        given *= 2
        return torch.from_numpy(given)

    for _ in range(2):
        checking.check_function(
            answer,
            correct=lambda given: torch.from_numpy(given * 2),
            cases=[(weights,)],
            misconceptions={},
            right="Doubled.",
        )
        assert said(capsys) == "Right. Doubled."


@pytest.mark.parametrize(
    "answer", [torch.tensor(PEAK), torch.tensor([PEAK], requires_grad=True), np.float32(PEAK), np.array([[PEAK]])]
)
def test_one_number_in_a_tensor_or_an_array_is_a_number(answer, capsys):
    chapter03.check_peak(answer)
    assert said(capsys).startswith("Right. ")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("0.82", "of type str"),
        ([PEAK], "of type list"),
        (1j, "of type complex"),
        (torch.tensor([PEAK, PEAK]), "of type Tensor and shape (2,)"),
        (np.array([PEAK, PEAK]), "of type ndarray and shape (2,)"),
        (chapter03.check_peak, "of type function"),
        (float("nan"), "nan"),
        (torch.tensor(float("nan")), "nan"),
    ],
)
def test_what_is_no_number_is_answered_with_what_to_give(answer, kind, capsys):
    chapter03.check_peak(answer)
    assert said(capsys) == f"Not yet. Give one number; yours is {kind}."


@pytest.mark.parametrize("answer", [..., None])
def test_an_unanswered_question_is_told_apart(answer, capsys):
    chapter03.check_peak(answer)
    assert said(capsys) == "Not yet. Replace ... by your number and run the cell again."
