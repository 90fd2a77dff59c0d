// Wall clock and CPU time of this process with all its threads, from the start of the load to everything on disk.

/** Starts the clock; the returned function stops it: `{seconds, cpuSeconds, peakBytes}`. */
export function startClock() {
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  return () => {
    const seconds = Number(process.hrtime.bigint() - start) / 1e9
    const used = process.cpuUsage(cpu)
    return {
      seconds,
      cpuSeconds: (used.user + used.system) / 1e6,
      peakBytes: process.resourceUsage().maxRSS * 1024
    }
  }
}
