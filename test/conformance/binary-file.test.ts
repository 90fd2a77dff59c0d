import { conformance } from './conformance.ts'
import { binaryFile } from './subjects/binary-file.ts'

conformance(binaryFile)
