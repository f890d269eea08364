"""How a front is made: of splits by their exact values, of any Pyomo model, and by looking at every split."""
