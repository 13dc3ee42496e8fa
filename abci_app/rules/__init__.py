"""The one rule set behind CheckTx, PrepareProposal, ProcessProposal and FinalizeBlock."""
