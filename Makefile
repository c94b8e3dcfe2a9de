# Words for daily work. The tools come from .venv (scripts/setup test,check) or from PYTHON=...

PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
CLANG ?= clang
CROSS ?= aarch64-linux-gnu-gcc
FUZZ_SECONDS ?= 20
BUILD := build

FLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror -ffp-contract=off -Icsrc
PLACES := -DREPORTS='"reports"'
C_FILES := $(wildcard csrc/*.c csrc/*/*.c csrc/*/*/*.c)
FORMATTED := $(C_FILES) $(wildcard csrc/*.h csrc/*/*.h csrc/*/*/*.h)
FUZZ_plan := csrc/fuzz/fuzz_plan.c csrc/plan.c csrc/error.c
FUZZ_message := csrc/fuzz/fuzz_message.c csrc/shim/message.c csrc/error.c

# Two thousand kills at random times, with another seed each day.
#     make soak   make soak KILLS=100 SERVER_KILLS=10
# KILLS hit commands, agents and shims; SERVER_KILLS the API server over a file, and as many server
# or etcd. An hour or more.
KILLS ?= 1600
SERVER_KILLS ?= 200

.PHONY: screenshots build dist test test-v2 check conformance demo bench density soak leaks churn warm-kills kills cluster-kills leader-kills convergence faults agreement api-fuzz clean lint types format warnings cross sanitize fuzz fuzz-plan fuzz-message fuzz-records fuzz-manifest fuzz-archive fuzz-commands fuzz-merge FORCE

build:
	$(PYTHON) setup.py -q build_ext --inplace

# The files of a release in dist/: see docs/release.md.
dist: build
	$(PYTHON) scripts/make_dist.py dist

test:
	scripts/test

# The kernel layer once more, with cgroup v2 only and with v1 only: an emulated machine, at most 15
# minutes.
test-v2: build
	$(PYTHON) scripts/test_v2.py

# Kubernetes' own conformance tests on a cluster that `kubelite up` makes; writes
# docs/conformance.md anew. Needs root and Debian's mirror; the first time 5 minutes go into
# building the tests, then it is an hour.
#     make conformance FOCUS='Variable Expansion'
FOCUS ?=

conformance: build
	$(PYTHON) scripts/conformance/run.py --focus '$(FOCUS)'

# The pictures of README and docs/ui.md, as the browser tests see the page.
screenshots: build
	rm -rf $(BUILD)/screenshots && mkdir -p $(BUILD)/screenshots
	KUBELITE_SCREENSHOTS=$(CURDIR)/$(BUILD)/screenshots $(PYTHON) -m pytest -q tests/ui/test_ui_page.py -k axe
	cd $(BUILD)/screenshots && cp ui-overview.png ui-pod.png $(CURDIR)/docs/images/

demo:
	scripts/demo

bench: build
	$(PYTHON) bench/launch.py

# 500 idle pods: time, memory for each, and what commands take beside them.
density: build
	$(PYTHON) bench/density.py

soak: kills
	KUBELITE_RANDOM_KILLS=$(KILLS) KUBELITE_SEED=$(shell date +%Y%m%d) $(PYTHON) -m pytest -q -rP tests/crash/test_crash_random.py
	KUBELITE_EVERY_ACT=1 $(PYTHON) -m pytest -q tests/crash/test_crash_reboot.py

# Pods that come and go in one process, with one agent: what both hold is counted before and after.
# 5000 are half an hour; 100,000, a week of a busy machine, some hours.
#     make leaks   make churn   make leaks PODS=1000
leaks: PODS ?= 5000
churn: PODS ?= 100000

leaks churn: build
	KUBELITE_CHURN=$(PODS) $(PYTHON) -m pytest -q -rP tests/crash/test_crash_churn.py

# The installed command's launcher, its warm process and their commands killed at random times: a
# quarter of an hour.
#     make warm-kills WARM_KILLS=50
WARM_KILLS ?= 300

warm-kills: build
	KUBELITE_WARM_KILLS=$(WARM_KILLS) KUBELITE_SEED=$(shell date +%Y%m%d) $(PYTHON) -m pytest -q -rP tests/crash/test_crash_warm.py

kills: build
	KUBELITE_KILLS=$(SERVER_KILLS) $(PYTHON) -m pytest -q -rP tests/control/api/server/test_api_crash.py

# Server and node agent of a whole cluster killed 100 times under churn, about half an hour.
#     make cluster-kills CLUSTER_KILLS=20
CLUSTER_KILLS ?= 100

cluster-kills: build
	KUBELITE_CLUSTER_KILLS=$(CLUSTER_KILLS) KUBELITE_SEED=$(shell date +%Y%m%d) $(PYTHON) -m pytest -q -s tests/cluster/test_cluster_kills.py

# Servers with all their controllers killed in the middle of changes, alone over a file and in pairs over an etcd, where each leader's
# Lease has to end first: half an hour.   make leader-kills LEADER_KILLS=20
LEADER_KILLS ?= 100

leader-kills: build
	KUBELITE_LEADER_KILLS=$(LEADER_KILLS) $(PYTHON) -m pytest -q -rP tests/up/test_up_leaders.py

# Random histories of a cluster, a new set each time; and how many of them it takes to find each planted fault, 20 minutes.
#   make convergence SEQUENCES=5000   make faults SEQUENCES=100
SEQUENCES ?= 1000

convergence: build
	KUBELITE_SEQUENCES=$(SEQUENCES) $(PYTHON) -m pytest -q tests/control/convergence/test_convergence.py

faults: build
	PYTHONPATH=. $(PYTHON) tests/control/convergence/search_faults.py --sequences $(SEQUENCES)

# All ways to write an object agree, and no request makes the server fail: random objects and
# requests, an hour each.
#     make agreement EXAMPLES=1000   make api-fuzz EXAMPLES=5000
agreement: EXAMPLES ?= 40000
agreement: build
	KUBELITE_EXAMPLES=$(EXAMPLES) $(PYTHON) -m pytest -q tests/control/api/verbs/test_api_agreement.py

api-fuzz: EXAMPLES ?= 200000
api-fuzz: build
	KUBELITE_EXAMPLES=$(EXAMPLES) $(PYTHON) -m pytest -q tests/control/api/server/test_api_fuzz.py

check: lint types format warnings cross sanitize fuzz

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

format:
	clang-format --dry-run -Werror $(FORMATTED)

# Every C file on its own with two compilers: each finds what the other does not. Always anew: a
# header may have changed.
warnings: $(C_FILES:%=$(BUILD)/gcc/%.o) $(C_FILES:%=$(BUILD)/clang/%.o)

$(BUILD)/gcc/%.o: % FORCE
	@mkdir -p $(@D)
	gcc $(FLAGS) $(PLACES) -c $< -o $@

$(BUILD)/clang/%.o: % FORCE
	@mkdir -p $(@D)
	$(CLANG) $(FLAGS) $(PLACES) -c $< -o $@

# The other architecture: the programs whole, the module's files as far as they go without its
# Python.
cross: $(C_FILES:%=$(BUILD)/cross/%.o)
	KUBELITE_WERROR=1 CC=$(CROSS) $(PYTHON) setup.py -q build_programs --output $(BUILD)/cross/bin

$(BUILD)/cross/%.o: % FORCE
	@mkdir -p $(@D)
	$(CROSS) $(FLAGS) $(PLACES) -c $< -o $@

# The shim's own tests once more, against a shim that watches its memory. What it finds is written
# to files.
sanitize: build
	rm -rf $(BUILD)/reports && mkdir -p $(BUILD)/reports
	$(PYTHON) setup.py -q build_programs --sanitize --output $(BUILD)/sanitize
	KUBELITE_SHIM=$(CURDIR)/$(BUILD)/sanitize/kubelite-shim $(PYTHON) -m pytest -q tests/core/test_core_shim.py \
		tests/core/test_core_logs.py tests/core/test_core_pause.py tests/core/test_core_hostile.py; \
	code=$$?; cat $(BUILD)/reports/* 2>/dev/null && exit 1; exit $$code

# Short runs on every check, longer ones by hand:   make fuzz FUZZ_SECONDS=600
# What longer runs have found worth keeping lies in csrc/fuzz/corpus; make fuzz-merge puts the
# smallest such set of files there.
fuzz: fuzz-plan fuzz-message fuzz-records fuzz-manifest fuzz-archive fuzz-commands

# Random command lines: no traceback, no hang, documented exit codes.
fuzz-commands: build
	$(PYTHON) -m tests.cli.fuzz_commands $(FUZZ_SECONDS)

fuzz-records fuzz-manifest fuzz-archive: fuzz-%: build
	@mkdir -p $(BUILD)/fuzz
	PYTHONPATH=. $(PYTHON) tests/fuzz/fuzz_python.py $* $(BUILD)/fuzz/python-$* -max_total_time=$(FUZZ_SECONDS) -timeout=5 \
		-verbosity=0 -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/$*-

fuzz-plan fuzz-message: fuzz-%:
	@mkdir -p $(BUILD)/fuzz/corpus/$*
	$(CLANG) -g -O1 -std=gnu11 -D_GNU_SOURCE -Icsrc -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(FUZZ_$*) -o $(BUILD)/fuzz/$*
	PYTHONPATH=. $(PYTHON) csrc/fuzz/make_seeds.py $(BUILD)/fuzz/seeds
	$(BUILD)/fuzz/$* -max_total_time=$(FUZZ_SECONDS) -timeout=5 -max_len=8192 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=$(BUILD)/fuzz/$*- $(BUILD)/fuzz/corpus/$* csrc/fuzz/corpus/$* $(BUILD)/fuzz/seeds/$*

fuzz-merge: fuzz-merge-plan fuzz-merge-message

fuzz-merge-plan fuzz-merge-message: fuzz-merge-%:
	rm -rf $(BUILD)/fuzz/least && mkdir -p $(BUILD)/fuzz/least
	$(BUILD)/fuzz/$* -merge=1 -max_len=8192 $(BUILD)/fuzz/least csrc/fuzz/corpus/$* $(BUILD)/fuzz/corpus/$*
	rm -rf csrc/fuzz/corpus/$* && mv $(BUILD)/fuzz/least csrc/fuzz/corpus/$*

clean:
	rm -rf $(BUILD) dist kubelite/bin kubelite/core/*.so
