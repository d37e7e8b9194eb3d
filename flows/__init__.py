"""The order of the stages. Importing the room prepares the environment, before any of its modules imports Prefect."""

from flows.environment import prepare

prepare()
