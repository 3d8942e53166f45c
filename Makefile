# Every target sets the book up first, in .venv, from pyproject.toml. The work itself is `python -m contrastlab ...`.
PYTHON ?= python3
RUN = .venv/bin/python -m contrastlab
MADE = .venv/.made-by-make
READY = .venv/.ready
PEERS = .venv/.bench

.PHONY: help study book test notebooks sweep bench clean
.DEFAULT_GOAL = help

help:
	@echo "make book       run every chapter here and build the website from that run in _build/site"
	@echo "make test       everything that proves the book right: units, laws, claims, notebooks, the site in a browser"
	@echo "make study      open JupyterLab at the book's first page"
	@echo "make notebooks  run every chapter and rewrite the committed .ipynb beside its .md"
	@echo "make sweep      train the encoders of a profile: make sweep PROFILE=smoke"
	@echo "make bench      measure the book's code beside others: make bench, make bench ONLY='loss views' QUICK=1"
	@echo "make clean      remove _build, and the .venv that make has made"

# .ready holds the folder it was made for and is written last: a set-up that was interrupted, or a clone that was
# moved, has no valid .ready and is made again from nothing.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

# Only a .venv that make has made is ever removed. It holds .made-by-make from the start, and loses it last, so that an
# interruption never makes it look like the user's own; before there was this mark, .ready was the only one.
OURS = test -e $(MADE) -o -e $(READY)
REMOVE = touch $(MADE) && \
  find .venv -mindepth 1 -maxdepth 1 ! -name $(notdir $(MADE)) -exec rm -rf {} + && rm -rf .venv

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) found. Install Python 3.11 or newer, or name yours: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "The book needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name a newer one: make PYTHON=python3.12"; exit 1; }
	@test ! -e .venv || $(OURS) || \
	  { echo ".venv was not made by make, which leaves it as it is. Move it away, or remove it, and run make again."; \
	    echo "Or use it: .venv/bin/python -m pip install -e '.[book,test]', then .venv/bin/python -m contrastlab book"; exit 1; }
	@echo "Setting up .venv (once; a few minutes, most of it PyTorch)"
	@test ! -e .venv || test "$$(cat $(READY) 2>/dev/null)" = '$(CURDIR)' || { $(REMOVE); }
	@test -d .venv || { mkdir .venv && touch $(MADE) && $(PYTHON) -m venv .venv; } || \
	  { $(REMOVE); echo "$(PYTHON) -m venv failed (see above). On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@touch $(MADE) && rm -f $(READY)
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[book,test]' || \
	  { echo "Installing the book's requirements failed (see above). Check the network and the free disk space (8 GB), then run make again."; exit 1; }
	@printf '%s' '$(CURDIR)' > $(READY)

study book test notebooks: $(READY)
	@$(RUN) $@

PROFILE ?= laptop
sweep: $(READY)
	@$(RUN) sweep --profile $(PROFILE)

# The others are whole frameworks, so only who measures installs them. A .venv that is made again has no .bench.
$(PEERS): $(READY)
	@echo "Installing what the benchmark compares with (once)"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' || \
	  { echo "Installing the benchmark's requirements failed (see above). Check the network, then run make bench again."; exit 1; }
	@touch $(PEERS)

bench: $(PEERS)
	@$(RUN) bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

clean:
	rm -rf _build
	@test ! -e .venv || if $(OURS); then $(REMOVE); else echo ".venv was not made by make, so it stays."; fi
