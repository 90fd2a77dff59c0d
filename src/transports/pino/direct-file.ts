// pino target `logboom/direct-file`.
import { createTarget } from './create-target.ts'

export default createTarget('direct-file')
