# Fuzz targets of src/proto.
