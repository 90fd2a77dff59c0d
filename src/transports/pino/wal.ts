// Generated from the registry of sinks by `npm run docs`: pino target `logboom/wal`, also the worker of our own
// transports.
import { wal } from '../../core/wal/kind.ts'
import { createTarget } from './create-target.ts'

export default createTarget(wal)
