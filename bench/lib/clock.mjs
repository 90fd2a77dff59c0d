// Wall clock and CPU time of this process with all its threads, from the start of the load to everything on disk.

/** Starts the clock; the returned function stops it: `{seconds, cpuSeconds, peakBytes}`. */
export function startClock() {
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  return () => {
    const seconds = (performance.now() - startMs) / 1000
    const used = process.cpuUsage(cpu)
    return {
      seconds,
      cpuSeconds: (used.user + used.system) / 1e6,
      peakBytes: process.resourceUsage().maxRSS * 1024
    }
  }
}
