import shapes

shapes.area(2)
