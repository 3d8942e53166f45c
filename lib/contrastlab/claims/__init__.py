"""The ledger of the paper's claims: what each says, what the records show, and the verdict that follows."""
