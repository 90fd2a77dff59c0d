// The package as built, with what tests replace in it: sinks that write in threads of their own run only from there.
export { withInternals } from '../../dist/core/sink/internals.js'
export { DirectFile, EventFiles, LoggerManager, readRecords, Spool } from '../../dist/index.js'
