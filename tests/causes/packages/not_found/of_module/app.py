import ledger.entries

VALUE = ledger.entries
