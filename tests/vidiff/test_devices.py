import pytest
import torch

from vidiff.devices import threads_that_pay_off


@pytest.mark.parametrize(("costs", "expected"), [({1: 1.0, 4: 0.3}, 4), ({1: 1.0, 4: 9.0}, 1), ({1: 1.0, 4: 1.0}, 1)])
def test_many_threads_are_used_only_where_they_are_faster(costs, expected):
    assert threads_that_pay_off(4, seconds=costs.__getitem__) == expected


def test_one_thread_is_never_questioned():
    assert threads_that_pay_off(1, seconds=lambda threads: 1 / 0) == 1


def test_the_trial_itself_measures_something():
    before = torch.get_num_threads()
    try:
        assert threads_that_pay_off(2) in (1, 2)
    finally:
        torch.set_num_threads(before)
