// pino target `logboom/binary-file`.
import { createTarget } from './create-target.ts'

export default createTarget('binary-file')
