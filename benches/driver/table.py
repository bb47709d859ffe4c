"""The figures as an aligned table."""

COLUMNS = ["", "calls/s", "min", "max", "p50 us", "p99 us", "server us/call", "client us/call",
           "x gRPC", "x brpc", "x floor"]


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def row(title, result, references):
    if result.failure and not result.values("calls_per_second"):
        return [title, "failed: " + result.failure]
    rates = result.values("calls_per_second")
    return [
        title,
        number(result.median("calls_per_second")),
        number(min(rates)),
        number(max(rates)),
        number(result.median("p50_us"), 1),
        number(result.median("p99_us"), 1),
        number(result.median("server_cpu_us"), 2),
        number(result.median("client_cpu_us"), 2),
        *(number(result.ratio(reference, "calls_per_second"), 2) for reference in references),
    ]


def table(results, contenders, workloads):
    """Lines of text: one block per workload."""
    blocks = []
    for workload in workloads:
        references = [results.get((workload, name)) for name in ("grpc", "brpc", "floor")]
        rows = [row(contender.title, results[workload, contender.name], references)
                for contender in contenders if (workload, contender.name) in results]
        blocks.append((str(workload), rows))

    every = [COLUMNS] + [cells for _, rows in blocks for cells in rows if len(cells) > 2]
    widths = [max(len(cells[i]) for cells in every) for i in range(len(COLUMNS))]
    widths[0] = max(len(contender.title) for contender in contenders)

    def line(cells):
        aligned = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]
        return "  ".join(["  " + cells[0].ljust(widths[0]), *aligned])

    lines = [line(COLUMNS)]
    for title, rows in blocks:
        lines += ["", title]
        for cells in rows:
            lines.append(line(cells) if len(cells) > 2 else f"  {cells[0].ljust(widths[0])}  {cells[1]}")
    return lines


def suite(suite, results):
    """Lines of text: a block with columns of its own."""
    head = ["", *(column.heading for column in suite.columns),
            *(ratio.heading for ratio in suite.ratios)]
    rows = []
    for entry in suite.present:
        result = results[suite, entry.name]
        if result.failure and not any(result.samples):
            rows.append([entry.title, "failed: " + result.failure])
            continue
        cells = [number(result.median(column.key), column.digits) for column in suite.columns]
        for ratio in suite.ratios:
            reference = results.get((suite, ratio.reference))
            cells.append(number(result.ratio(reference, ratio.key), 2))
        rows.append([entry.title, *cells])
    every = [head, *(cells for cells in rows if len(cells) == len(head))]
    widths = [max(len(cells[i]) for cells in every) for i in range(len(head))]
    widths[0] = max(len(cells[0]) for cells in rows)
    lines = ["", suite.name]
    for cells in [head, *rows]:
        if len(cells) == len(head):
            cells = [cells[0].ljust(widths[0]),
                     *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))]
        lines.append("  " + "  ".join(cells))
    return lines


MICRO = {
    "yield_ns": "yield, two coroutines in turns, ns",
    "yield_100_ns": "yield, 100 coroutines in turns, ns",
    "yield_alone_ns": "yield, one coroutine, ns",
    "timer_ns": "timer added and canceled, ns",
    "timer_million_ns": "the same beside 1,000,000 armed ones, ns",
    "timer_bytes": "an armed timer, bytes",
    "queue_ns": "queue of 64, coroutine to coroutine, ns an element",
    "queue_threads_ns": "queue of 64, thread to thread on one core, ns an element",
    "park_unpark_ns": "park and unpark, ns",
    "semaphore_ns": "the same through a semaphore, ns",
    "spawn_join_ns": "spawn and join, one at a time, ns",
    "spawn_join_1000_ns": "spawn and join, 1,000 at once, ns",
    "pool_run_ns": "a job of the thread pool and the wait for its result, ns",
    "parked_bytes": "resident bytes of a parked coroutine",
    "libc_read_ns": "read(-1): libc's, ns",
    "hooks_thread_read_ns": "the same hooked, in a plain thread, ns",
    "hooks_off_read_ns": "the same in a coroutine with hooks off, ns",
    "libc_socket_ns": "a byte sent and received on a pair of sockets: libc's, ns",
    "hooks_on_socket_ns": "the same with hooks on, ns",
    "libc_pipe_ns": "a byte written and read through a pipe: libc's, ns",
    "hooks_on_pipe_ns": "the same with hooks on, ns",
    "cpp_yield_ns": "C++: yield, two coroutines in turns, ns",
    "cpp_semaphore_ns": "C++: park and unpark through a semaphore, ns",
    "cpp_spawn_join_ns": "C++: spawn and join, one at a time, ns",
    "cpp_tprun_ns": "C++: a job of TPRun() and the wait for its result, ns",
}


def micro(figures):
    """Lines of the runtime's own figures, if they were taken."""
    if not figures:
        return []
    titles = {name: MICRO.get(name, name) for name in figures}
    width = max(map(len, titles.values()))
    return ["", "Runtime"] + [f"  {titles[name].ljust(width)}  {number(value, 1).rjust(10)}"
                              for name, value in figures.items()]


def targets(wanted, results, micro):
    """Lines that set the figures beside what we mean to reach; those not measured are left out."""
    rows = []
    for target in wanted:
        measured = target.measured(results, micro)
        if measured is None:
            continue
        met = measured >= target.limit if target.at_least else measured <= target.limit
        rows.append([
            target.title,
            f"{number(measured, 3 if target.unit == 'x' else 2)} {target.unit}",
            f"{'at least' if target.at_least else 'at most'} {number(target.limit, 2)}",
            "met" if met else "missed",
        ])
    if not rows:
        return []
    widths = [max(len(cells[i]) for cells in rows) for i in range(4)]
    return ["", "Targets"] + [
        f"  {cells[0].ljust(widths[0])}  {cells[1].rjust(widths[1])}  {cells[2].ljust(widths[2])}  {cells[3]}"
        for cells in rows
    ]
