import { isLong } from '../helpers/sized.ts'
import { allAtOnce } from './all-at-once.ts'
import { endUnderLastingFaults } from './lasting-faults.ts'

allAtOnce(
  'whatever call goes on failing, close() ends in its time with exact numbers, and every flush has an answer:',
  isLong ? 1_800_000 : 120_000,
  endUnderLastingFaults
)
