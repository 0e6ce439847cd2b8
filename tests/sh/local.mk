sh_tests = \
	%D%/alloc.bats \
	%D%/bench.bats \
	%D%/cluster.bats \
	%D%/cluster_loss.bats \
	%D%/commands.bats \
	%D%/ending.bats \
	%D%/errors.bats \
	%D%/examples.bats \
	%D%/forks.bats \
	%D%/house.bats \
	%D%/module.bats \
	%D%/native.bats \
	%D%/options.bats \
	%D%/package.bats \
	%D%/process.bats \
	%D%/processes.bats \
	%D%/progress.bats \
	%D%/prompt.bats \
	%D%/signals.bats \
	%D%/stats.bats \
	%D%/toolbox.bats \
	%D%/trace.bats \
	%D%/tree.bats \
	%D%/usr1.bats
