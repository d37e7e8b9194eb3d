"""Stored episodes: whole rows, the newest of each, found by the beginning of an id and asked in SQL."""

import runpy
from pathlib import Path

import pytest

from data.episodes import EpisodeError, append_episodes, episode_id, find_episode, played, read_episodes
from data.parquet import RowError
from data.query import run_query

STORED = runpy.run_path(str(Path(__file__).parent / "fixtures" / "episodes.py"))
MESSAGES, row = STORED["MESSAGES"], STORED["row"]


def test_an_episode_played_again_replaces_its_older_row():
    append_episodes("evaluation", "e1", [row(), row(trial=1)])
    append_episodes("evaluation", "e1", [row(success=False)])
    frame = read_episodes("evaluation", "e1")
    assert frame.set_index("trial")["success"].to_dict() == {0: False, 1: True}
    assert played("evaluation", "e1") == {episode_id("e1", "bank/seen/1", trial) for trial in range(2)}
    assert played("training", "e1") == set()


def test_sql_sees_episodes_of_evaluations_and_trainings_and_their_messages():
    append_episodes("evaluation", "e1", [row()])
    append_episodes("evaluation", "e1", [row(success=False)])
    append_episodes("training", "r1", [row("r1", reward=1.0, advantage=0.5, step=1)])
    told = run_query("SELECT purpose, success, breaches[1] AS breach FROM episodes ORDER BY purpose")
    assert told.values.tolist() == [["evaluation", False, "unverified"], ["training", True, "unverified"]]
    said = run_query("SELECT unnest(messages, recursive := true) FROM episodes WHERE purpose = 'training'")
    assert said["content"].tolist()[0] == "Block my card."


def test_an_episode_is_found_by_the_beginning_of_its_id():
    append_episodes("evaluation", "e1", [row(), row(trial=1)])
    name = episode_id("e1", "bank/seen/1", 1)
    assert find_episode(name[:8])["trial"] == 1
    assert find_episode(name)["messages"] == MESSAGES
    with pytest.raises(EpisodeError, match="2 episodes begin"):
        find_episode("")
    with pytest.raises(EpisodeError, match="no episode"):
        find_episode("zz")


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(RowError, match="success"):
        append_episodes("evaluation", "e1", [row(success=None)])
    with pytest.raises(ValueError, match="cannot name a directory"):
        append_episodes("evaluation", "../e1", [row()])
