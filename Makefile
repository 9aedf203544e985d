# What each target does is in tools/, which needs Python 3.11 or newer and nothing else.
# STACK=name takes another stack than dev (Pulumi.<name>.yaml); with APP=path that file is made, for the application there.

PYTHON := $(shell .venv/bin/python -ISc 'print(".venv/bin/python")' 2>/dev/null || echo python3)
TOOLS := @$(PYTHON) -Sm tools $(if $(STACK),--stack '$(STACK)') $(if $(APP),--app '$(APP)')

.PHONY: help up preview down url cert releases rollback journal logs env setup test test-long unit e2e-clouds e2e-apps faults live lint clean distclean
.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

up: ## set everything up, launch the server, release the application
	$(TOOLS) up

preview: ## show what `make up` would change
	$(TOOLS) preview

down: ## remove all that the stack has made
	$(TOOLS) down

url: ## print the application's URL
	$(TOOLS) url

cert: ## print the path of the certificate to trust
	$(TOOLS) cert

releases: ## list the releases on the server
	$(TOOLS) slipway releases

rollback: ## go back to the last good release; RELEASE=id: to that one
	$(TOOLS) slipway rollback $(RELEASE)

journal: ## list what was done on the server, by whom
	$(TOOLS) slipway journal

logs: ## print the last lines of the live release
	$(TOOLS) slipway logs

env: ## print `export` lines: eval "$(make -s env)" for plain pulumi commands
	$(TOOLS) env

setup: ## install what is needed, without launching anything
	$(TOOLS) setup

test: ## run all tests
	$(TOOLS) test

test-long: ## run the tests that take minutes a file
	$(TOOLS) test long

unit: ## run the unit tests alone
	$(TOOLS) test unit

e2e-clouds: ## every target with every database on the rig's clouds, as one table
	$(TOOLS) test clouds

faults: ## what may go wrong in a release, as one table
	$(TOOLS) test faults

e2e-apps: ## apps of every kind, as they are, as one table
	$(TOOLS) test apps

live: ## the same checks on a real cloud, with your credentials: costs money, asks first
	$(TOOLS) live

lint: ## check style and types
	$(TOOLS) lint

clean: ## take local stacks down; remove machines, images, state of this checkout
	$(TOOLS) clean

distclean: ## clean, and remove .venv and what is cached for all checkouts
	$(TOOLS) distclean
