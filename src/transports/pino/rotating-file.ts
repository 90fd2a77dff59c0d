// pino target `logboom/rotating-file`.
import { createTarget } from './create-target.ts'

export default createTarget('rotating-file')
