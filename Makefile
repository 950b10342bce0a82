# Each target installs what it needs on a fresh Debian 12 (as root), into the system or into .work.
.PHONY: help demo deb test unit lint lab install-ways package bench bench-compare clean

help:           ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | column -t -s '|'

demo:           ## a call through a firewall that lets only web traffic out, on this machine
	@tools/demo

test:           ## everything: lint, types, unit tests on both stacks, install ways, lab, package
	@tools/test

unit:           ## the unit tests on Debian's packages and on PyPI's newest
	@tools/unit

lint:           ## style and types
	@tools/lint

lab:            ## calls end to end through network namespaces (root)
	@tools/lab

install-ways:   ## checkout, pip install, pip install -e: are the plugins found?
	@tools/install

deb:            ## build the Debian package, into .work/build
	@tools/setup-debian unit package
	@tools/package-build

package:        ## build the Debian package, install and try it in a container (root)
	@tools/package

bench:          ## what a relayed packet and a call cost
	@tools/bench

bench-compare:  ## what a call costs beside Kamailio and Sippy B2BUA (root)
	@tools/bench --compare

clean:          ## remove all that was made here
	rm -rf .work build dist *.egg-info _trial_temp* twisted/plugins/dropin.cache
	find . -name __pycache__ -prune -exec rm -rf {} +
