import { conformance } from './conformance.ts'
import { directFile } from './subjects/direct-file.ts'

conformance(directFile)
