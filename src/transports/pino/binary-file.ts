// Generated from the registry of sinks by `npm run docs`: pino target `logboom/binary-file`, also the worker of our own
// transports.
import { binaryFile } from '../../core/binary-file/kind.ts'
import { createTarget } from './create-target.ts'

export default createTarget(binaryFile)
