// Generated from the registry of sinks by `npm run docs`: pino target `logboom/direct-file`, also the worker of our own
// transports.
import { directFile } from '../../core/direct-file/kind.ts'
import { createTarget } from './create-target.ts'

export default createTarget(directFile)
