NAME two_columns
ROWS
 N cost
 G r1
COLUMNS
 x1 cost 1
 x1 r1 1
 m1 'MARKER' 'INTORG'
 x2 r1 0.5
 m2 'MARKER' 'INTEND'
RHS
 rhs r1 0.5000007
BOUNDS
 UP bnd x1 1
 UP bnd x2 1
ENDATA
