// Generated from the registry of sinks by `npm run docs`: pino target `logboom/spool`, also the worker of our own
// transports.
import { spool } from '../../core/spool/kind.ts'
import { createTarget } from './create-target.ts'

export default createTarget(spool)
